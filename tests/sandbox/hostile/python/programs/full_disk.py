# failed: No space left
for number in range(100):
    with open(f"/tmp/{number}", "wb") as file:
        file.write(bytes(30 * 2**20))
