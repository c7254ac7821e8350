// output_limit: may hold
#include <fcntl.h>
#include <unistd.h>
int main() { return ftruncate(open("/tmp/sparse", O_CREAT | O_RDWR, 0600), 1L << 40) == 0 ? 0 : 3; }
