"""What reaches a reader: waiting, read positions, receipts, presence and subscriptions."""
