package endpoint

import "net/http"

func page(w http.ResponseWriter, _ *http.Request) { text(w, "see /status") }
