"""Everything that is measured, as tables: a row for each subject, a column for each quantity."""
