"""Parts of the descriptions of engines that follow the SQL standard."""

SIZED = r"(\([0-9]{1,2}(, ?[0-9]{1,2})?\))?"  # the size of a type: (10, 2)
STATISTICS = "stddev stddev_samp stddev_pop variance var_samp var_pop"
UNITS = "year|quarter|month|week|day|hour|minute|second"
INTERVALS = {
    "DATE": "date|timestamp",
    "EXTRACT": "extract",
    "FIELD": f"{UNITS}|dow|doy|epoch",
    "INTERVAL": "interval",
}
DATES = ("NOW", "DATE SPACE STRING", "EXTRACT CALL FIELD FROM value{x} CLOSE")
