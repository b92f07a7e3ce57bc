// Asks the service with Go's own HTTP client, and prints a line for each answer.
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"time"
)

var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{ExpectContinueTimeout: 5 * time.Second}}

func ask(name, method, path, key, body string, headers ...string) {
	request, err := http.NewRequest(method, os.Args[1]+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+key)
	for at := 0; at+1 < len(headers); at += 2 {
		request.Header.Set(headers[at], headers[at+1])
	}
	reused := false
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
	answer, err := client.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
	if err != nil {
		fmt.Println(name, "failed", err)
		return
	}
	content, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	fmt.Println(name, answer.StatusCode, reused, len(content), err == nil)
}

func main() {
	key, record := os.Args[2], `{"text": "un grand merci"}`
	for i := 0; i < 3; i++ {
		ask("classify", "POST", "/classify", key, record)
	}
	ask("expect", "POST", "/classify", key, record, "Expect", "100-continue")
	ask("batch", "POST", "/classify/batch", key, `{"records": [`+strings.Repeat(`{"text": "merci"},`, 999)+`{"text": "merci"}]}`)
	ask("too_large", "POST", "/classify", key, strings.Repeat("a", 8_000_000))
	ask("too_large_expected", "POST", "/classify", key, strings.Repeat("a", 8_000_000), "Expect", "100-continue")
	ask("unauthorized", "POST", "/classify", "nothing", record)
	ask("head", "HEAD", "/livez", key, "")
}
