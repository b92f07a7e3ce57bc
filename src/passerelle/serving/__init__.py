"""What runs inside the bento: the contract of /classify, the predictor, the readiness."""
