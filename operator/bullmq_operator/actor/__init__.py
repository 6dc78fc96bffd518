"""The plan's effects: statuses, then actions, then Events; each looked at again before it acts."""
