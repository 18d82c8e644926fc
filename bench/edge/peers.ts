/** The peers' configurations: one worker, the same suites, the same limits in kind, access log on, kept connections to the origin. */

const suites12 = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"

/** As root nginx would change to a user that can't read the folder. */
const user = process.getuid?.() === 0 ? "user root; " : ""

/**
 * nginx as origin: a kilobyte from its configuration with the fields that a file's answer has, a megabyte from a file. It shares its core with the load, so
 * what it spends on a kilobyte is missing there, and holds the quicker edge back.
 */
export const nginxOrigin = (folder: string, port: number): string => `
${user}worker_processes 1; daemon off; pid ${folder}/origin.pid; error_log ${folder}/origin.log error;
events { worker_connections 4096; }
http {
  access_log off; open_file_cache max=10 inactive=1h; open_file_cache_valid 1h; keepalive_requests 1000000000; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p;
  fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  server {
    listen 127.0.0.1:${port} backlog=4096; root ${folder}/www; location / { }
    location = /kilobyte {
      default_type application/octet-stream; add_header Last-Modified "Tue, 01 Dec 2026 06:30:14 GMT"; add_header ETag '"692d3776-400"'; add_header Accept-Ranges bytes;
      return 200 "${"a".repeat(1024)}";
    }
  }
}
`

export const nginxEdge = (folder: string, port: number, origin: number): string => `
${user}worker_processes 1; daemon off; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log error;
events { worker_connections 4096; }
http {
  access_log ${folder}/nginx-access.log combined buffer=64k; keepalive_requests 1000000000;
  client_body_temp_path ${folder}/eb; proxy_temp_path ${folder}/ep; fastcgi_temp_path ${folder}/ef; uwsgi_temp_path ${folder}/eu; scgi_temp_path ${folder}/es;
  ssl_certificate ${folder}/chain.pem; ssl_certificate_key ${folder}/key.pem; ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers ${suites12};
  ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; ssl_ecdh_curve X25519; ssl_session_tickets on;
  upstream origin { server 127.0.0.1:${origin}; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} ssl http2 backlog=4096; server_name bench.example.org;
    location / {
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Real-IP $remote_addr;
    }
  }
}
`

export const haproxyEdge = (folder: string, port: number, origin: number): string => `
global
  nbthread 1
  maxconn 4096
  log 127.0.0.1:9 local0
  ssl-default-bind-ciphers ${suites12}
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
  ssl-default-bind-curves X25519
defaults
  mode http
  log global
  option httplog
  timeout connect 5s
  timeout client 75s
  timeout server 60s
  timeout http-request 15s
  http-reuse always
frontend edge
  bind 127.0.0.1:${port} ssl crt ${folder}/both.pem alpn h2,http/1.1
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto https
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Real-IP %[src]
  default_backend origin
backend origin
  server origin 127.0.0.1:${origin}
`

export const caddyEdge = (folder: string, port: number, origin: number): string => {
  const forwarded = { "X-Real-IP": ["{http.request.remote.host}"] }
  const proxy = {
    handler: "reverse_proxy",
    upstreams: [{ dial: `127.0.0.1:${origin}` }],
    headers: { request: { set: forwarded } },
    transport: { protocol: "http", keep_alive: { max_idle_conns_per_host: 512 } }
  }
  const server = {
    listen: [`127.0.0.1:${port}`],
    protocols: ["h1", "h2"],
    automatic_https: { disable: true },
    read_header_timeout: "15s",
    idle_timeout: "75s",
    logs: {},
    tls_connection_policies: [{ protocol_min: "tls1.2", curves: ["x25519"] }],
    routes: [{ handle: [proxy] }]
  }
  return JSON.stringify({
    admin: { disabled: true },
    logging: {
      logs: {
        default: { level: "ERROR", writer: { output: "stderr" } },
        access: { writer: { output: "file", filename: `${folder}/caddy.log` }, include: ["http.log.access"] }
      }
    },
    apps: {
      http: { servers: { edge: server } },
      tls: { certificates: { load_files: [{ certificate: `${folder}/chain.pem`, key: `${folder}/key.pem` }] } }
    }
  })
}
