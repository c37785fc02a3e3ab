"""Reports as JSON, tables, and the paper's figures."""
