"""Cancel jobs and report the results. Pure: this package knows neither events nor AWS clients."""
