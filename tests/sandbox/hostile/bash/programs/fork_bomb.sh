# failed or timed_out:
# bash tries again for 15 s to get a process, so this ends by the clock
bomb() {
    bomb | bomb &
    bomb
}
bomb
