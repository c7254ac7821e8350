# output_limit: may hold
while True:
    print("x" * 100_000)
