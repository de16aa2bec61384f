"""What people look at: tables, plots, HTML pages, from plain data. No run, store or tool is known here."""
