// timed_out: CPU time
#include <bits/stdc++.h>
std::vector<long> f(long x) {
    std::signal(SIGXCPU, SIG_IGN);
    for (volatile long n = 0;; n++) {}
}
