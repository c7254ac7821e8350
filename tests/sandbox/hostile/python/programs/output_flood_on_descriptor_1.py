# output_limit: may hold
import os

while True:
    os.write(1, bytes(100_000))
