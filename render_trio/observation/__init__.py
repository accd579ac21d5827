"""Events of workers and supervisor → metrics, recent activity, versions."""
