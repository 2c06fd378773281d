"""Reports for people: the Allure report, and the pages of rehearsals and incidents."""
