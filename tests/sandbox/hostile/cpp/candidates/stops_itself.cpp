// timed_out: by the clock
#include <bits/stdc++.h>
std::vector<long> f(long x) {
    raise(SIGSTOP);
    return {x};
}
