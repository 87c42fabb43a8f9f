"""What people conclude, each claim with its evidence: from records of ``analysis.yaml`` to tables."""
