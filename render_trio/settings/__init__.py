"""Environment variables and command-line options → one checked, frozen `Settings` value."""
