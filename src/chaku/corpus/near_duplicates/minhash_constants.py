"""The numbers that both forms of the hashing of n-grams, in numpy and compiled, are made with."""

import numpy as np

BASE = np.uint64(0x9E3779B97F4A7C15)  # a word is a polynomial of this base over its bytes, modulo 2**64
MIX = np.uint64(0xFF51AFD7ED558CCD)  # MurmurHash3's finalizer
HALF = np.uint64(32)
