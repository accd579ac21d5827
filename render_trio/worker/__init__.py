"""Leased tasks → results in the queue: one worker polls, renders, delivers and settles, over and over."""
