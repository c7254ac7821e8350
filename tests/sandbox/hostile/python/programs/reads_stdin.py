# failed: EOFError
import sys

assert sys.stdin.read() == ""
input()
