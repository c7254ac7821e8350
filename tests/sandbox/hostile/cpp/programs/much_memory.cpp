// out_of_memory: 512 MB
#include <vector>
int main() { return std::vector<char>(1'500'000'000, 'x')[7] == 0; }
