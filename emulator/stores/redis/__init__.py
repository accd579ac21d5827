"""The task store on Redis: store operations → Lua scripts, which Redis executes atomically."""
