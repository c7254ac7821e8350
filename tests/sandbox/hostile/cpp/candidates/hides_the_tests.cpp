// compile_error: unterminated
#include <bits/stdc++.h>
std::vector<long> f(long x) {
    return {x};
}
int main() { return 0; }
#if 0
