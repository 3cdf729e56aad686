"""/admin: drain, limits, status, jobs, dead letters. All that it says is the workflows' word."""
