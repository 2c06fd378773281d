"""Recovery: backup, WAL, restore, ledger and the verification of restored data. No pytest, no Allure, no sandbox."""
