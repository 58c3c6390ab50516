package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	fileMB      = flag.Int("file-mb", 1024, "size of the file of -only files")
	fileRounds  = flag.Int("file-rounds", 3, "how often it goes up and down")
	uploads     = flag.Int("uploads", 200, "uploads of 1 MB that are under way while queries are measured")
	bareFiles   = flag.String("bare-files", "", "be a bare file server on a folder (used by the program itself)")
	uploadersOf = flag.String("uploaders", "", "be -uploads clients of a server (likewise)")
)

// measureFiles compares a large file's way up and down with that through a bare
// net/http server that writes and syncs it, and point SELECTs of a quiet server
// with those of one that takes many uploads.
func measureFiles() error {
	os.Setenv("KALAMDB_FILES_MAX_SIZE_BYTES", strconv.Itoa(4*(*fileMB+1)<<20))
	k, err := startKalam(*binary)
	if err != nil {
		return err
	}
	defer k.stop()
	if err := k.fill(10_000); err != nil {
		return err
	}
	c := fileClient{k.addr, k.token}
	if err := c.sql("CREATE USER TABLE bench.files (id BIGINT PRIMARY KEY, body FILE)"); err != nil {
		return err
	}
	bare, err := startBareFiles()
	if err != nil {
		return err
	}
	defer bare.stop()
	if err := measureLargeFile(k, bare, c); err != nil {
		return err
	}
	return measureUploads(k, bare)
}

func measureLargeFile(k, bare *process, c fileClient) error {
	size := int64(*fileMB) << 20
	var up, down, bareUp, bareDown, upRatio, downRatio []float64
	grown := 0.0
	rate := func(fn func() error) (float64, error) {
		began := time.Now()
		err := fn()
		return float64(size) / 1e6 / time.Since(began).Seconds(), err
	}
	for round := range *fileRounds {
		var rates [4]float64
		var path string
		var err error
		steps := []func() error{
			func() error { return put("http://"+bare.addr+"/file", pattern(size), size) },
			func() error { return drainURL("http://"+bare.addr+"/file", "", size) },
			func() error { return c.upload(round, pattern(size), size) },
			func() error { return drainURL("http://"+k.addr+path, k.token, size) },
		}
		for i, step := range steps {
			if i == 2 {
				if err := os.Remove(filepath.Join(bare.dir, "file")); err != nil {
					return err
				}
			}
			if i == 3 {
				if path, err = c.path(round); err != nil {
					return err
				}
			}
			before, stop := k.rss(), make(chan struct{})
			var watching sync.WaitGroup
			watching.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(20 * time.Millisecond):
						grown = max(grown, k.rss()-before)
					}
				}
			})
			rates[i], err = rate(step)
			close(stop)
			watching.Wait()
			if err != nil {
				return err
			}
		}
		if err := c.sql("DELETE FROM bench.files"); err != nil {
			return err
		}
		bareUp, bareDown, up, down = append(bareUp, rates[0]), append(bareDown, rates[1]), append(up, rates[2]), append(down, rates[3])
		upRatio, downRatio = append(upRatio, rates[2]/rates[0]), append(downRatio, rates[3]/rates[1])
	}
	fmt.Printf("\n%-34s %10s %10s %7s\n", fmt.Sprintf("a file of %d MiB, %d rounds", *fileMB, *fileRounds), "kalam MB/s", "bare MB/s", "ratio")
	fmt.Printf("%-34s %10.0f %10.0f %7.2f\n", "upload, synced", median(up), median(bareUp), median(upRatio))
	fmt.Printf("%-34s %10.0f %10.0f %7.2f\n", "download", median(down), median(bareDown), median(downRatio))
	fmt.Printf("resident memory of the server grows by %.1f MB at most\n", grown)
	return nil
}

// measureUploads compares point SELECTs of a quiet server with those of one that
// takes uploads all the time, and a bare echo likewise while a bare file server
// takes them: what the machine does to anybody.
func measureUploads(k, bare *process) error {
	point := target{addr: k.addr, token: k.token, body: func(i int) []byte {
		return fmt.Appendf(nil, `{"sql":"SELECT id, room, body FROM bench.messages WHERE id = $1","params":[%d]}`, 1+(i*7919)%10_000)
	}}
	sample, err := point.once()
	if err != nil {
		return err
	}
	echo, err := startEcho(len(sample))
	if err != nil {
		return err
	}
	defer echo.stop()
	var rows [4][]result
	var ours, machine []float64
	for range *rounds {
		var r [4]result
		for i, one := range []struct {
			t      target
			uptake string
		}{{point, ""}, {point, k.addr + " " + k.token}, {target{echo.addr, k.token, point.body}, ""}, {target{echo.addr, k.token, point.body}, bare.addr}} {
			stop := func() {}
			if one.uptake != "" {
				if stop, err = startUploaders(one.uptake); err != nil {
					return err
				}
			}
			r[i], err = one.t.load(*inFlight, seconds2())
			stop()
			if err != nil {
				return err
			}
			rows[i] = append(rows[i], r[i])
		}
		ours = append(ours, float64(r[1].p99)/float64(r[0].p99))
		machine = append(machine, float64(r[3].p99)/float64(r[2].p99))
	}
	fmt.Printf("\n%-44s %10s %8s %8s %8s\n", fmt.Sprintf("%d uploads of 1 MB under way", *uploads), "a second", "p50 ms", "p95 ms", "p99 ms")
	for i, name := range []string{"point SELECT, quiet", "point SELECT, with uploads", "echo, quiet", "echo, with uploads to the bare server"} {
		m := medianRun(rows[i])
		fmt.Printf("%-44s %10.0f %8.2f %8.2f %8.2f\n", name, m.rate, ms(m.p50), ms(m.p95), ms(m.p99))
	}
	fmt.Printf("p99 grows by %.2f, that of the echo by %.2f (medians of the rounds)\n", median(ours), median(machine))
	return nil
}

// pattern is size bytes that no file system makes smaller.
func pattern(size int64) io.Reader {
	block := make([]byte, 4<<20)
	src := rand.NewChaCha8([32]byte{1})
	src.Read(block)
	return io.LimitReader(&repeat{block: block}, size)
}

type repeat struct {
	block []byte
	at    int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.block[r.at:])
	r.at = (r.at + n) % len(r.block)
	return n, nil
}

func put(url string, body io.Reader, size int64) error {
	req, err := http.NewRequest(http.MethodPut, url, body)
	if err != nil {
		return err
	}
	req.ContentLength = size
	return answered(req)
}

func answered(req *http.Request) error {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, b)
	}
	return err
}

func drainURL(url, token string, size int64) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, res.Body, make([]byte, 256<<10))
	if err == nil && n != size {
		err = fmt.Errorf("%s: %d bytes of %d", res.Status, n, size)
	}
	return err
}

// fileClient sends statements and files to a server.
type fileClient struct{ addr, token string }

func (c fileClient) sql(sql string) error {
	_, err := c.query(sql)
	return err
}

func (c fileClient) query(sql string) ([]byte, error) {
	conn, err := dial(c.addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	body, err := json.Marshal(map[string]string{"sql": sql})
	if err != nil {
		return nil, err
	}
	answer, err := conn.post(c.token, body)
	return bytes.Clone(answer), err
}

// path is where the file of a row is read.
func (c fileClient) path(id int) (string, error) {
	answer, err := c.query(fmt.Sprintf("SELECT body FROM bench.files WHERE id = %d", id))
	if err != nil {
		return "", err
	}
	var out struct {
		Results []struct{ Rows [][]string }
	}
	var ref struct{ ID, Sub string }
	if err := json.Unmarshal(answer, &out); err != nil {
		return "", err
	}
	if len(out.Results) != 1 || len(out.Results[0].Rows) != 1 {
		return "", errors.New("the uploaded row is not there")
	}
	err = json.Unmarshal([]byte(out.Results[0].Rows[0][0]), &ref)
	return "/v1/files/bench/files/" + ref.Sub + "/" + ref.ID, err
}

// upload inserts a row with a file.
func (c fileClient) upload(id int, content io.Reader, size int64) error {
	const boundary = "a-boundary-of-the-bench"
	head := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"sql\"\r\n\r\n" +
		fmt.Sprintf("INSERT INTO bench.files VALUES (%d, FILE('a'))", id) +
		"\r\n--" + boundary + "\r\nContent-Disposition: form-data; name=\"file:a\"; filename=\"a.bin\"\r\n\r\n"
	tail := "\r\n--" + boundary + "--\r\n"
	req, err := http.NewRequest(http.MethodPost, "http://"+c.addr+"/v1/api/sql", io.MultiReader(strings.NewReader(head), content, strings.NewReader(tail)))
	if err != nil {
		return err
	}
	req.ContentLength = int64(len(head)) + size + int64(len(tail))
	req.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
	req.Header.Set("Authorization", "Bearer "+c.token)
	return answered(req)
}

// startBareFiles starts the yardstick of files.
func startBareFiles() (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "kalam-bench-bare-")
	if err != nil {
		return nil, err
	}
	p, err := start(exec.Command(self, "-bare-files", dir), func(line string) string {
		addr, _ := strings.CutPrefix(strings.TrimSpace(line), "bare ")
		return addr
	})
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	p.dir = dir
	return p, nil
}

// serveBareFiles takes files by PUT, synced with their folder before it answers,
// and serves them.
func serveBareFiles(dir string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("bare", l.Addr())
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := filepath.Join(dir, filepath.Base(r.URL.Path))
		if r.Method == http.MethodGet {
			http.ServeFile(w, r, path)
			return
		}
		if err := takeBare(dir, path, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
}

func takeBare(dir, path string, body io.Reader) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, body)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// startUploaders starts clients in a process of their own: an address, and a
// token for a server that is not bare.
func startUploaders(of string) (stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p, err := start(exec.Command(self, "-uploads", strconv.Itoa(*uploads), "-uploaders", of), func(line string) string { return strings.TrimSpace(line) })
	if err != nil {
		return nil, err
	}
	return p.stop, nil
}

// runUploaders keeps uploads of 1 MB under way until the process is ended.
func runUploaders(of string) error {
	addr, token, ours := strings.Cut(of, " ")
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = *uploads
	content, err := io.ReadAll(pattern(1 << 20))
	if err != nil {
		return err
	}
	failed := make(chan error, *uploads)
	c := fileClient{addr, token}
	var next atomic.Int64
	next.Store(time.Now().UnixNano())
	for i := range *uploads {
		go func() {
			for {
				var err error
				if ours {
					id := int(next.Add(1))
					err = c.upload(id, bytes.NewReader(content), int64(len(content)))
					if err == nil {
						err = c.sql(fmt.Sprintf("DELETE FROM bench.files WHERE id = %d", id))
					}
				} else {
					err = put(fmt.Sprintf("http://%s/%d", addr, i), bytes.NewReader(content), int64(len(content)))
				}
				if err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	fmt.Println("running")
	return <-failed
}
