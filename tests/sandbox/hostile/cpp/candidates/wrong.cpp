// failed: Assertion `candidate(2)
#include <assert.h>
#include <bits/stdc++.h>
std::vector<long> f(long x) {
    return {x};
}
