// crashed: SIGSEGV
#include <cstdio>
long f(volatile long* x) {
    volatile long y = *x + 1;
    return f(&y) + y;
}
int main() {
    volatile long x = 0;
    return f(&x);
}
