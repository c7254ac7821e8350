# output_limit: may hold
print 'x' x 100000 while 1;
