# failed: left before its end
raise SystemExit(0)
