"""Machines that ran the embedded tier again, and the arithmetics they can stand for."""
