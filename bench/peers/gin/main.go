// The gin peer: GET /health in release mode.
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
)

const shutdownTimeout = 5 * time.Second

type status struct {
	Status string `json:"status"`
}

func health(c *gin.Context) {
	c.JSON(http.StatusOK, status{Status: "ok"})
}

func newRouter() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.Use(gin.Recovery())
	router.GET("/health", health)
	return router
}

func main() {
	if text := os.Getenv("WORKERS"); text != "" {
		workers, err := strconv.Atoi(text)
		if err != nil || workers < 1 {
			log.Fatalf("WORKERS is %q, expected a positive integer", text)
		}
		runtime.GOMAXPROCS(workers)
	}
	server := &http.Server{
		Addr:              net.JoinHostPort("127.0.0.1", os.Getenv("PORT")),
		Handler:           newRouter(),
		ReadHeaderTimeout: 10 * time.Second,
	}

	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	go func() {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()
	<-ended.Done()

	deadline, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		log.Fatal(err)
	}
}
