// failed: Assertion
#include <assert.h>
#include <bits/stdc++.h>
#define NDEBUG
#undef assert
#define assert(condition) ((void)0)
#define main other_main
#define candidate(x) std::vector<long>({4})
#define auto int
#define if while (0) if
std::vector<long> f(long x) {
    return {x};
}
#define f(x) 4
