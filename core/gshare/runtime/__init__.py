"""What every gshare process needs around the pure core: files, sockets, processes, reports."""
