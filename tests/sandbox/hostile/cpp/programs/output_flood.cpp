// output_limit: may hold
#include <cstdio>
int main() {
    for (;;) std::puts("a line that is printed again and again and again and again");
}
