# output_limit: may hold
with open("/tmp/sparse", "wb") as file:
    file.truncate(2**40)
