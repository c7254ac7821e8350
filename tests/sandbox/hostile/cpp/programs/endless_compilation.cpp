// compile_error:
template <long N> struct Deep { static constexpr long value = Deep<N - 1>::value + Deep<N + 1>::value; };
int main() { return Deep<0>::value; }
