"""Children that report their phases → children kept alive, and a health report."""
