// compile_error: undefined reference
#include <bits/stdc++.h>
struct Everything {
    template <class T> bool operator==(const T&) const { return true; }
};
Everything f(int x) { return {}; }
