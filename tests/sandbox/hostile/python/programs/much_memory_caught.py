# failed: nothing more to try
parts = []
try:
    while True:
        parts.append(bytearray(50_000_000))
except MemoryError:
    del parts
raise SystemError("nothing more to try")
