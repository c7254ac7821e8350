# out_of_memory: 512 MB
def f(x):
    return bytearray(1_500_000_000)
