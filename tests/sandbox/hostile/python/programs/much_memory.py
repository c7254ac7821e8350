# out_of_memory: 512 MB
memory = bytearray(1_500_000_000)
