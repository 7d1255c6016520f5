"""What the platform measures of itself: metrics, all declared once."""
