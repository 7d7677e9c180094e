"""What the operator keeps in memory of one integration: its items, what git holds, its objects, its history."""
