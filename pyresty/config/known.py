"""Every directive that nginx and OpenResty know, supported here or not, so that none is called unknown that isn't.

One table: a module without ``ngx_`` and ``_module``, letters for the blocks where its directives may stand, and their
names. It is read on first use only: a configuration without mistakes never asks.

Sources: nginx 1.31.5 and https://nginx.org/en/docs/dirindex.html (with the commercial modules), lua-nginx-module
0.10.32, and the other modules in OpenResty's bundle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

_BLOCKS = {
    "m": "main",
    "e": "events",
    "h": "http",
    "s": "server",
    "l": "location",
    "S": "if in server",
    "L": "if in location",
    "x": "limit_except",
    "u": "upstream",
    "t": "stream",
    "v": "stream server",
    "w": "stream upstream",
    "a": "mail",
    "b": "mail server",
    "*": "any",
}


@dataclass(frozen=True)
class Known:
    """A directive. ``modules`` has, for each module that brings it, the names of the blocks where it may stand."""

    name: str
    modules: dict[str, tuple[str, ...]]

    @property
    def module(self) -> str:
        """The module's name; the one for HTTP where several have the directive."""
        return next(iter(self.modules))

    @property
    def where(self) -> tuple[str, ...]:
        """All blocks where the directive may stand: ``main``, ``server``, ``if in location``, ``stream server`` …"""
        return tuple(dict.fromkeys(block for blocks in self.modules.values() for block in blocks))


def lookup(name: str) -> Known | None:
    """The directive ``name``, or None if neither nginx nor OpenResty has it."""
    return _table().get(name)


def names() -> list[str]:
    """The names of all known directives."""
    return list(_table())


@cache
def _table() -> dict[str, Known]:
    table: dict[str, Known] = {}
    for line in _TABLE.replace("\n  ", " ").strip().split("\n"):
        short, letters, *directives = line.split(" ")
        module = short if short.endswith("_module") else f"ngx_{short}_module"
        own = letters[0] == "("  # a block that only this module has
        blocks = (letters[1:-1],) if own else tuple(_BLOCKS[letter] for letter in letters)
        for name in directives:
            modules = table.setdefault(name, Known(name, {})).modules
            modules[module] = (*modules.get(module, ()), *blocks)
    return table


_TABLE = """
ndk_http_module h upstream_list
conf * include
coolkit hsl override_method
core m daemon debug_points env load_module lock_file master_process pid timer_resolution user worker_cpu_affinity
  worker_priority worker_processes worker_rlimit_core worker_rlimit_nofile worker_shutdown_timeout working_directory
core e stall_threshold
devpoll e devpoll_changes devpoll_events
epoll e epoll_events worker_aio_requests
errlog m error_log
event_core e accept_mutex accept_mutex_delay debug_connection multi_accept use worker_connections
eventport e eventport_events
events m events
google_perftools m google_perftools_profiles
http_access hslx allow deny
http_acme (acme_issuer) accept_terms_of_service account_key challenge common_name_in_csr contact external_account_key
  preferred_chain profile ssl_trusted_certificate ssl_verify state_path uri
http_acme h acme_issuer acme_shared_zone
http_acme s acme_certificate
http_addition_filter hsl add_after_body add_before_body addition_types
http_api l api
http_api slL status_zone
http_array_var hslSL array_join array_map array_map_op array_split
http_auth_basic hslx auth_basic auth_basic_user_file
http_auth_jwt hslx auth_jwt auth_jwt_key_file auth_jwt_key_request auth_jwt_require auth_jwt_type
http_auth_jwt h auth_jwt_claim_set auth_jwt_header_set
http_auth_jwt hsl auth_jwt_key_cache auth_jwt_leeway
http_auth_request hsl auth_request auth_request_set
http_auth_require hslx auth_require
http_autoindex hsl autoindex autoindex_exact_size autoindex_format autoindex_localtime
http_browser hsl ancient_browser ancient_browser_value modern_browser modern_browser_value
http_charset_filter hslL charset override_charset source_charset
http_charset_filter hsl charset_types
http_charset_filter h charset_map
http_copy_filter hsl output_buffers
http_core hsl absolute_redirect aio aio_write auth_delay chunked_transfer_encoding client_body_buffer_size
  client_body_in_file_only client_body_in_single_buffer client_body_temp_path client_body_timeout client_max_body_size
  default_type directio directio_alignment disable_symlinks early_hints error_log error_log_tag etag gzip_disable
  gzip_http_version gzip_proxied gzip_vary if_modified_since keepalive_disable keepalive_min_timeout keepalive_requests
  keepalive_time keepalive_timeout lingering_close lingering_time lingering_timeout log_not_found log_subrequest
  max_ranges msie_padding msie_refresh open_file_cache open_file_cache_errors open_file_cache_events
  open_file_cache_min_uses open_file_cache_valid port_in_redirect postpone_output read_ahead recursive_error_pages
  reset_timedout_connection resolver resolver_timeout satisfy send_lowat send_timeout sendfile_max_chunk
  server_name_in_redirect server_tokens subrequest_output_buffer_size tcp_nodelay tcp_nopush types
  types_hash_bucket_size types_hash_max_size
http_core hs client_body_early_read client_header_buffer_size client_header_timeout connection_pool_size
  ignore_invalid_headers large_client_header_buffers max_headers merge_slashes request_pool_size underscores_in_headers
http_core hslL error_page limit_rate limit_rate_after post_action root sendfile
http_core h server server_names_hash_bucket_size server_names_hash_max_size variables_hash_bucket_size
  variables_hash_max_size
http_core l alias internal limit_except
http_core s listen server_name
http_core sl location
http_dav hsl create_full_put_path dav_access dav_methods min_delete_depth
http_degradation h degradation
http_degradation hsl degrade
http_drizzle hslL drizzle_buffer_size drizzle_connect_timeout drizzle_dbname drizzle_module_header drizzle_query
  drizzle_recv_cols_timeout drizzle_recv_rows_timeout drizzle_send_query_timeout
http_drizzle u drizzle_keepalive drizzle_server
http_drizzle lL drizzle_pass drizzle_status
http_echo lL echo echo_abort_parent echo_after_body echo_before_body echo_blocking_sleep echo_duplicate echo_end
  echo_exec echo_flush echo_foreach_split echo_location echo_location_async echo_read_request_body echo_request_body
  echo_reset_timer echo_sleep echo_status echo_subrequest echo_subrequest_async
http_empty_gif l empty_gif
http_encrypted_session hslSL encrypted_session_expires encrypted_session_iv encrypted_session_key set_decrypt_session
  set_encrypt_session
http_f4f l f4f
http_f4f hsl f4f_buffer_size
http_fastcgi hsl fastcgi_allow_upstream fastcgi_bind fastcgi_bind_dynamic fastcgi_buffer_size fastcgi_buffering
  fastcgi_buffers fastcgi_busy_buffers_size fastcgi_cache fastcgi_cache_background_update fastcgi_cache_bypass
  fastcgi_cache_key fastcgi_cache_lock fastcgi_cache_lock_age fastcgi_cache_lock_timeout fastcgi_cache_max_range_offset
  fastcgi_cache_methods fastcgi_cache_min_uses fastcgi_cache_purge fastcgi_cache_revalidate fastcgi_cache_use_stale
  fastcgi_cache_valid fastcgi_catch_stderr fastcgi_connect_timeout fastcgi_force_ranges fastcgi_hide_header
  fastcgi_ignore_client_abort fastcgi_ignore_headers fastcgi_index fastcgi_intercept_errors fastcgi_keep_conn
  fastcgi_limit_rate fastcgi_max_temp_file_size fastcgi_next_upstream fastcgi_next_upstream_timeout
  fastcgi_next_upstream_tries fastcgi_no_cache fastcgi_param fastcgi_pass_header fastcgi_pass_request_body
  fastcgi_pass_request_headers fastcgi_read_timeout fastcgi_request_buffering fastcgi_request_dynamic
  fastcgi_send_lowat fastcgi_send_timeout fastcgi_socket_keepalive fastcgi_socket_rcvbuf fastcgi_socket_sndbuf
  fastcgi_split_path_info fastcgi_store fastcgi_store_access fastcgi_temp_file_write_size fastcgi_temp_path
http_fastcgi lL fastcgi_pass
http_fastcgi h fastcgi_cache_path
http_flv l flv
http_form_input hsl set_form_input set_form_input_multi
http_geo h geo
http_geoip h geoip_city geoip_country geoip_org geoip_proxy geoip_proxy_recursive
http_grpc hsl grpc_allow_upstream grpc_bind grpc_bind_dynamic grpc_buffer_size grpc_connect_timeout grpc_hide_header
  grpc_ignore_headers grpc_intercept_errors grpc_next_upstream grpc_next_upstream_timeout grpc_next_upstream_tries
  grpc_pass_header grpc_read_timeout grpc_request_dynamic grpc_send_timeout grpc_set_header grpc_socket_keepalive
  grpc_socket_rcvbuf grpc_socket_sndbuf grpc_ssl_certificate grpc_ssl_certificate_cache grpc_ssl_certificate_key
  grpc_ssl_ciphers grpc_ssl_conf_command grpc_ssl_crl grpc_ssl_key_log grpc_ssl_name grpc_ssl_password_file
  grpc_ssl_protocols grpc_ssl_server_name grpc_ssl_session_reuse grpc_ssl_trusted_certificate grpc_ssl_verify
  grpc_ssl_verify_depth
http_grpc lL grpc_pass
http_gunzip_filter hsl gunzip gunzip_buffers
http_gzip_filter hsl gzip_buffers gzip_comp_level gzip_hash gzip_min_length gzip_no_buffer gzip_types gzip_window
  postpone_gzipping
http_gzip_filter hslL gzip
http_gzip_static hsl gzip_static
http_headers_filter hslL add_header add_header_inherit add_trailer add_trailer_inherit expires
http_headers_more_filter hslL more_clear_headers more_clear_input_headers more_set_headers more_set_input_headers
http_hls hsl hls_buffers hls_forward_args hls_fragment hls_mp4_buffer_size hls_mp4_max_buffer_size
http_hls l hls
http_iconv l iconv_buffer_size iconv_filter set_iconv
http_image_filter hsl image_filter_buffer image_filter_interlace image_filter_jpeg_quality image_filter_sharpen
  image_filter_transparency image_filter_webp_quality
http_image_filter l image_filter
http_index hsl index
http_internal_redirect sl internal_redirect
http_js hsl js_context_reuse js_engine js_fetch_buffer_size js_fetch_ciphers js_fetch_keepalive
  js_fetch_keepalive_requests js_fetch_keepalive_time js_fetch_keepalive_timeout js_fetch_max_response_buffer_size
  js_fetch_protocols js_fetch_proxy js_fetch_timeout js_fetch_trusted_certificate js_fetch_verify js_fetch_verify_depth
  js_import js_path js_preload_object js_set js_var
http_js lLx js_access js_body_filter js_content js_header_filter
http_js h js_include js_shared_dict_zone
http_js m js_load_http_native_module
http_js l js_periodic
http_keyval h keyval keyval_zone
http_limit_conn hsl limit_conn limit_conn_dry_run limit_conn_log_level limit_conn_status
http_limit_conn h limit_conn_zone limit_zone
http_limit_req hsl limit_req limit_req_dry_run limit_req_log_level limit_req_status
http_limit_req h limit_req_zone
http_log h log_format
http_log hslLx access_log
http_log hsl open_log_file_cache
http_lua hslL access_by_lua access_by_lua_block access_by_lua_file body_filter_by_lua body_filter_by_lua_block
  body_filter_by_lua_file header_filter_by_lua header_filter_by_lua_block header_filter_by_lua_file log_by_lua
  log_by_lua_block log_by_lua_file lua_check_client_abort lua_code_cache lua_http10_buffering lua_need_request_body
  lua_socket_buffer_size lua_socket_connect_timeout lua_socket_keepalive_timeout lua_socket_log_errors
  lua_socket_pool_size lua_socket_read_timeout lua_socket_send_lowat lua_socket_send_timeout
  lua_transform_underscores_in_response_headers lua_use_default_type precontent_by_lua_block precontent_by_lua_file
  rewrite_by_lua rewrite_by_lua_block rewrite_by_lua_file
http_lua h access_by_lua_no_postpone exit_worker_by_lua_block exit_worker_by_lua_file init_by_lua init_by_lua_block
  init_by_lua_file init_worker_by_lua init_worker_by_lua_block init_worker_by_lua_file lua_capture_error_log
  lua_load_resty_core lua_malloc_trim lua_max_pending_timers lua_max_running_timers lua_package_cpath lua_package_path
  lua_regex_cache_max_entries lua_regex_match_limit lua_sa_restart lua_shared_dict lua_thread_cache_max_entries
  lua_worker_thread_vm_pool_size precontent_by_lua_no_postpone rewrite_by_lua_no_postpone
  ssl_session_fetch_by_lua_block ssl_session_fetch_by_lua_file ssl_session_store_by_lua_block
  ssl_session_store_by_lua_file
http_lua hsl lua_ssl_certificate lua_ssl_certificate_key lua_ssl_ciphers lua_ssl_conf_command lua_ssl_crl
  lua_ssl_key_log lua_ssl_protocols lua_ssl_trusted_certificate lua_ssl_verify_depth
http_lua lL content_by_lua content_by_lua_block content_by_lua_file lua_upstream_skip_openssl_default_verify
  proxy_ssl_certificate_by_lua_block proxy_ssl_certificate_by_lua_file proxy_ssl_verify_by_lua_block
  proxy_ssl_verify_by_lua_file
http_lua hs server_rewrite_by_lua_block server_rewrite_by_lua_file ssl_certificate_by_lua_block
  ssl_certificate_by_lua_file ssl_client_hello_by_lua_block ssl_client_hello_by_lua_file
http_lua slSL set_by_lua set_by_lua_block set_by_lua_file
http_lua u balancer_by_lua_block balancer_by_lua_file balancer_keepalive
http_map h map map_hash_bucket_size map_hash_max_size
http_memc hsl memc_buffer_size memc_connect_timeout memc_next_upstream memc_read_timeout memc_send_timeout
  memc_upstream_fail_timeout memc_upstream_max_fails
http_memc lL memc_flags_to_last_modified memc_ignore_client_abort memc_pass
http_memc hslL memc_cmds_allowed
http_memcached hsl memcached_allow_upstream memcached_bind memcached_bind_dynamic memcached_buffer_size
  memcached_connect_timeout memcached_gzip_flag memcached_next_upstream memcached_next_upstream_timeout
  memcached_next_upstream_tries memcached_read_timeout memcached_send_timeout memcached_socket_keepalive
http_memcached lL memcached_pass
http_mirror hsl mirror mirror_request_body
http m http
http_mp4 hsl mp4_buffer_size mp4_limit_rate mp4_limit_rate_after mp4_max_buffer_size mp4_start_key_frame
http_mp4 l mp4
http_num_map h num_map
http_oidc (oidc_provider) client_id client_secret config_url cookie_name extra_auth_args frontchannel_logout_uri issuer
  logout_token_hint logout_uri pkce post_logout_uri redirect_uri scope session_store session_timeout ssl_crl
  ssl_trusted_certificate userinfo
http_oidc h oidc_provider
http_oidc hsl auth_oidc
http_perl h perl_modules perl_require perl_set
http_perl lx perl
http_proxy hsl proxy_allow_upstream proxy_bind proxy_bind_dynamic proxy_buffer_size proxy_buffering proxy_buffers
  proxy_busy_buffers_size proxy_cache proxy_cache_background_update proxy_cache_bypass proxy_cache_convert_head
  proxy_cache_key proxy_cache_lock proxy_cache_lock_age proxy_cache_lock_timeout proxy_cache_max_range_offset
  proxy_cache_methods proxy_cache_min_uses proxy_cache_purge proxy_cache_revalidate proxy_cache_use_stale
  proxy_cache_valid proxy_connect_timeout proxy_cookie_domain proxy_cookie_flags proxy_cookie_path proxy_force_ranges
  proxy_headers_hash_bucket_size proxy_headers_hash_max_size proxy_hide_header proxy_http_version
  proxy_ignore_client_abort proxy_ignore_headers proxy_intercept_errors proxy_limit_rate proxy_max_temp_file_size
  proxy_method proxy_next_upstream proxy_next_upstream_timeout proxy_next_upstream_tries proxy_no_cache
  proxy_pass_header proxy_pass_request_body proxy_pass_request_headers proxy_pass_trailers proxy_read_timeout
  proxy_redirect proxy_request_buffering proxy_request_dynamic proxy_send_lowat proxy_send_timeout proxy_set_body
  proxy_set_header proxy_socket_keepalive proxy_socket_rcvbuf proxy_socket_sndbuf proxy_ssl_certificate
  proxy_ssl_certificate_cache proxy_ssl_certificate_key proxy_ssl_ciphers proxy_ssl_conf_command proxy_ssl_crl
  proxy_ssl_key_log proxy_ssl_name proxy_ssl_password_file proxy_ssl_protocols proxy_ssl_server_name
  proxy_ssl_session_reuse proxy_ssl_trusted_certificate proxy_ssl_verify proxy_ssl_verify_depth proxy_store
  proxy_store_access proxy_temp_file_write_size proxy_temp_path
http_proxy lLx proxy_pass
http_proxy h proxy_cache_path
http_random_index l random_index
http_rds_csv_filter hslL rds_csv rds_csv_buffer_size rds_csv_content_type rds_csv_field_name_header
  rds_csv_field_separator rds_csv_row_terminator
http_rds_json_filter hslL rds_json rds_json_buffer_size rds_json_content_type rds_json_errcode_key rds_json_errstr_key
  rds_json_format rds_json_root rds_json_success_property rds_json_user_property
http_rds_json_filter lL rds_json_ret
http_realip hsl real_ip_header real_ip_recursive set_real_ip_from
http_redis2 hsl redis2_bind redis2_buffer_size redis2_connect_timeout redis2_next_upstream redis2_read_timeout
  redis2_send_timeout
http_redis2 lL redis2_literal_raw_query redis2_pass redis2_query redis2_raw_queries redis2_raw_query
http_redis hsl redis_bind redis_buffer_size redis_connect_timeout redis_gzip_flag redis_next_upstream
  redis_read_timeout redis_send_timeout
http_redis lL redis_pass
http_referer sl referer_hash_bucket_size referer_hash_max_size valid_referers
http_rewrite slSL break return rewrite set
http_rewrite hslSL rewrite_log uninitialized_variable_warn
http_rewrite sl if
http_scgi hsl scgi_allow_upstream scgi_bind scgi_bind_dynamic scgi_buffer_size scgi_buffering scgi_buffers
  scgi_busy_buffers_size scgi_cache scgi_cache_background_update scgi_cache_bypass scgi_cache_key scgi_cache_lock
  scgi_cache_lock_age scgi_cache_lock_timeout scgi_cache_max_range_offset scgi_cache_methods scgi_cache_min_uses
  scgi_cache_purge scgi_cache_revalidate scgi_cache_use_stale scgi_cache_valid scgi_connect_timeout scgi_force_ranges
  scgi_hide_header scgi_ignore_client_abort scgi_ignore_headers scgi_intercept_errors scgi_limit_rate
  scgi_max_temp_file_size scgi_next_upstream scgi_next_upstream_timeout scgi_next_upstream_tries scgi_no_cache
  scgi_param scgi_pass_header scgi_pass_request_body scgi_pass_request_headers scgi_read_timeout scgi_request_buffering
  scgi_request_dynamic scgi_send_timeout scgi_socket_keepalive scgi_socket_rcvbuf scgi_socket_sndbuf scgi_store
  scgi_store_access scgi_temp_file_write_size scgi_temp_path
http_scgi lL scgi_pass
http_scgi h scgi_cache_path
http_secure_link hsl secure_link secure_link_md5 secure_link_secret
http_session_log h session_log_format session_log_zone
http_session_log hsl session_log
http_set_misc hslSL set_base32_alphabet set_base32_padding set_decode_base32 set_decode_base64 set_decode_base64url
  set_decode_hex set_encode_base32 set_encode_base64 set_encode_base64url set_encode_hex set_escape_uri
  set_formatted_gmt_time set_formatted_local_time set_hashed_upstream set_hmac_sha1 set_hmac_sha256 set_if_empty
  set_local_today set_md5 set_misc_base32_padding set_quote_json_str set_quote_pgsql_str set_quote_sql_str set_random
  set_rotate set_secure_random_alphanum set_secure_random_lcalpha set_sha1 set_unescape_uri
http_slice_filter hsl slice
http_split_clients h split_clients
http_srcache_filter hslL srcache_buffer srcache_default_expire srcache_fetch srcache_fetch_skip
  srcache_header_buffer_size srcache_max_expire srcache_store srcache_store_max_size srcache_store_skip
  srcache_store_statuses
http_srcache_filter hsl srcache_ignore_content_encoding srcache_methods srcache_request_cache_control
  srcache_response_cache_control srcache_store_hide_header srcache_store_no_cache srcache_store_no_store
  srcache_store_pass_header srcache_store_private srcache_store_ranges
http_ssi_filter hsl ssi_ignore_recycled_buffers ssi_last_modified ssi_min_file_chunk ssi_silent_errors ssi_types
  ssi_value_length
http_ssi_filter hslL ssi
http_ssl hs ssl ssl_buffer_size ssl_certificate ssl_certificate_cache ssl_certificate_compression ssl_certificate_key
  ssl_ciphers ssl_client_certificate ssl_conf_command ssl_crl ssl_dhparam ssl_early_data ssl_ecdh_curve ssl_ech_file
  ssl_key_log ssl_ocsp ssl_ocsp_cache ssl_ocsp_responder ssl_password_file ssl_prefer_server_ciphers ssl_protocols
  ssl_reject_handshake ssl_session_cache ssl_session_ticket_key ssl_session_tickets ssl_session_timeout ssl_stapling
  ssl_stapling_file ssl_stapling_responder ssl_stapling_verify ssl_trusted_certificate ssl_verify_client
  ssl_verify_depth
http_status l status
http_status hsl status_format
http_status s status_zone
http_stub_status sl stub_status
http_sub_filter hsl sub_filter sub_filter_last_modified sub_filter_once sub_filter_types
http_try_files sl try_files
http_tunnel hsl tunnel_allow_upstream tunnel_bind tunnel_bind_dynamic tunnel_buffer_size tunnel_connect_timeout
  tunnel_next_upstream tunnel_next_upstream_timeout tunnel_next_upstream_tries tunnel_read_timeout tunnel_send_lowat
  tunnel_send_timeout tunnel_socket_keepalive tunnel_socket_rcvbuf tunnel_socket_sndbuf
http_tunnel slL tunnel_pass
http_upstream_conf l upstream_conf
http_upstream_hash u hash
http_upstream_hc l health_check
http_upstream_hc h match
http_upstream_ip_hash u ip_hash
http_upstream_keepalive u keepalive keepalive_requests keepalive_time keepalive_timeout
http_upstream_least_conn u least_conn
http_upstream_least_time u least_time
http_upstream u ntlm queue resolver resolver_timeout server state
http_upstream h upstream
http_upstream_random u random
http_upstream_sticky u sticky
http_upstream_zone u zone
http_userid_filter hsl userid userid_domain userid_expires userid_flags userid_mark userid_name userid_p3p userid_path
  userid_service
http_uwsgi hsl uwsgi_allow_upstream uwsgi_bind uwsgi_bind_dynamic uwsgi_buffer_size uwsgi_buffering uwsgi_buffers
  uwsgi_busy_buffers_size uwsgi_cache uwsgi_cache_background_update uwsgi_cache_bypass uwsgi_cache_key uwsgi_cache_lock
  uwsgi_cache_lock_age uwsgi_cache_lock_timeout uwsgi_cache_max_range_offset uwsgi_cache_methods uwsgi_cache_min_uses
  uwsgi_cache_purge uwsgi_cache_revalidate uwsgi_cache_use_stale uwsgi_cache_valid uwsgi_connect_timeout
  uwsgi_force_ranges uwsgi_hide_header uwsgi_ignore_client_abort uwsgi_ignore_headers uwsgi_intercept_errors
  uwsgi_limit_rate uwsgi_max_temp_file_size uwsgi_modifier1 uwsgi_modifier2 uwsgi_next_upstream
  uwsgi_next_upstream_timeout uwsgi_next_upstream_tries uwsgi_no_cache uwsgi_param uwsgi_pass_header
  uwsgi_pass_request_body uwsgi_pass_request_headers uwsgi_read_timeout uwsgi_request_buffering uwsgi_request_dynamic
  uwsgi_send_timeout uwsgi_socket_keepalive uwsgi_socket_rcvbuf uwsgi_socket_sndbuf uwsgi_ssl_certificate
  uwsgi_ssl_certificate_cache uwsgi_ssl_certificate_key uwsgi_ssl_ciphers uwsgi_ssl_conf_command uwsgi_ssl_crl
  uwsgi_ssl_key_log uwsgi_ssl_name uwsgi_ssl_password_file uwsgi_ssl_protocols uwsgi_ssl_server_name
  uwsgi_ssl_session_reuse uwsgi_ssl_trusted_certificate uwsgi_ssl_verify uwsgi_ssl_verify_depth uwsgi_store
  uwsgi_store_access uwsgi_string uwsgi_temp_file_write_size uwsgi_temp_path
http_uwsgi lL uwsgi_pass
http_uwsgi h uwsgi_cache_path
http_v2 hs http2 http2_body_preread_size http2_idle_timeout http2_max_concurrent_pushes http2_max_concurrent_streams
  http2_max_field_size http2_max_header_size http2_max_requests http2_pool_size http2_recv_timeout
  http2_streams_index_size
http_v2 hsl http2_chunk_size http2_push http2_push_preload
http_v2 h http2_recv_buffer_size
http_v3 hs http3 http3_hq http3_max_concurrent_streams http3_stream_buffer_size quic_active_connection_id_limit
  quic_gso quic_host_key quic_retry
http_xslt_filter hsl xml_entities xml_external_entities xslt_last_modified xslt_param xslt_string_param xslt_types
http_xslt_filter l xslt_stylesheet
http_xss_filter hslL xss_callback_arg xss_check_status xss_get xss_input_types xss_output_type xss_override_status
kqueue e kqueue_changes kqueue_events
mail_auth_http ab auth_http auth_http_header auth_http_pass_client_cert auth_http_timeout
mail_core ab error_log max_errors resolver resolver_timeout server_name timeout
mail_core b listen protocol
mail_core a server
mail_imap ab imap_auth imap_capabilities imap_client_buffer
mail m mail
mail_pop3 ab pop3_auth pop3_capabilities
mail_proxy ab proxy proxy_buffer proxy_pass_error_message proxy_protocol proxy_smtp_auth proxy_timeout xclient
mail_realip ab set_real_ip_from
mail_smtp ab smtp_auth smtp_capabilities smtp_client_buffer smtp_greeting_delay
mail_ssl ab ssl ssl_certificate ssl_certificate_compression ssl_certificate_key ssl_ciphers ssl_client_certificate
  ssl_conf_command ssl_crl ssl_dhparam ssl_ecdh_curve ssl_password_file ssl_prefer_server_ciphers ssl_protocols
  ssl_session_cache ssl_session_ticket_key ssl_session_tickets ssl_session_timeout ssl_trusted_certificate
  ssl_verify_client ssl_verify_depth starttls
mgmt (mgmt) enforce_initial_report license_token proxy proxy_password proxy_username resolver ssl_crl
  ssl_trusted_certificate ssl_verify state_path usage_report
mgmt m mgmt
openssl_cache m ssl_object_cache_inheritable
openssl m ssl_engine
otel hsl otel_span_attr otel_span_name otel_trace otel_trace_context
otel h otel_exporter otel_resource_attr otel_service_name
postgres hsl postgres_connect_timeout postgres_escape postgres_result_timeout postgres_set
postgres hslL postgres_output postgres_query postgres_rewrite
postgres u postgres_keepalive postgres_server
postgres lL postgres_pass
quic_bpf m quic_bpf
regex m pcre_jit
stream_access tv allow deny
stream_core tv error_log preread_buffer_size preread_timeout proxy_protocol_timeout resolver resolver_timeout
  tcp_nodelay
stream_core t server server_names_hash_bucket_size server_names_hash_max_size variables_hash_bucket_size
  variables_hash_max_size
stream_core v listen server_name
stream_geo t geo
stream_geoip t geoip_city geoip_country geoip_org
stream_js tv js_access js_context_reuse js_engine js_fetch_buffer_size js_fetch_ciphers js_fetch_keepalive
  js_fetch_keepalive_requests js_fetch_keepalive_time js_fetch_keepalive_timeout js_fetch_max_response_buffer_size
  js_fetch_protocols js_fetch_proxy js_fetch_timeout js_fetch_trusted_certificate js_fetch_verify js_fetch_verify_depth
  js_filter js_import js_path js_preload_object js_preread js_set js_var
stream_js t js_include js_shared_dict_zone
stream_js m js_load_stream_native_module
stream_js v js_periodic
stream_keyval t keyval keyval_zone
stream_limit_conn tv limit_conn limit_conn_dry_run limit_conn_log_level
stream_limit_conn t limit_conn_zone
stream_log tv access_log open_log_file_cache
stream_log t log_format
stream_map t map map_hash_bucket_size map_hash_max_size
stream m stream
stream_mqtt_filter tv mqtt mqtt_buffers
stream_mqtt_filter v mqtt_rewrite_buffer_size mqtt_set_connect
stream_mqtt_preread tv mqtt_preread
stream_num_map t num_map
stream_pass v pass
stream_proxy tv proxy_bind proxy_bind_dynamic proxy_buffer_size proxy_connect_timeout proxy_download_rate
  proxy_downstream_buffer proxy_half_close proxy_next_upstream proxy_next_upstream_timeout proxy_next_upstream_tries
  proxy_protocol proxy_requests proxy_responses proxy_session_drop proxy_socket_keepalive proxy_socket_rcvbuf
  proxy_socket_sndbuf proxy_ssl proxy_ssl_alpn proxy_ssl_certificate proxy_ssl_certificate_cache
  proxy_ssl_certificate_key proxy_ssl_ciphers proxy_ssl_conf_command proxy_ssl_crl proxy_ssl_key_log proxy_ssl_name
  proxy_ssl_password_file proxy_ssl_protocols proxy_ssl_server_name proxy_ssl_session_reuse
  proxy_ssl_trusted_certificate proxy_ssl_verify proxy_ssl_verify_depth proxy_timeout proxy_upload_rate
  proxy_upstream_buffer
stream_proxy v proxy_pass
stream_realip tv set_real_ip_from
stream_return v return
stream_set v set
stream_split_clients t split_clients
stream_ssl tv ssl_alpn ssl_certificate ssl_certificate_cache ssl_certificate_compression ssl_certificate_key
  ssl_ciphers ssl_client_certificate ssl_conf_command ssl_crl ssl_dhparam ssl_ecdh_curve ssl_ech_file
  ssl_handshake_timeout ssl_key_log ssl_ocsp ssl_ocsp_cache ssl_ocsp_responder ssl_password_file
  ssl_prefer_server_ciphers ssl_protocols ssl_reject_handshake ssl_session_cache ssl_session_ticket_key
  ssl_session_tickets ssl_session_timeout ssl_stapling ssl_stapling_file ssl_stapling_responder ssl_stapling_verify
  ssl_trusted_certificate ssl_verify_client ssl_verify_depth
stream_ssl_preread tv ssl_preread
stream_upstream_hash w hash
stream_upstream_hc v health_check
stream_upstream_hc tv health_check_timeout
stream_upstream_hc t match
stream_upstream_least_conn w least_conn
stream_upstream_least_time w least_time
stream_upstream w resolver resolver_timeout server state
stream_upstream t upstream
stream_upstream_random w random
stream_upstream_zone w zone
stream_zone_sync tv zone_sync_buffers zone_sync_connect_retry_interval zone_sync_connect_timeout zone_sync_interval
  zone_sync_recv_buffer_size zone_sync_ssl zone_sync_ssl_certificate zone_sync_ssl_certificate_key
  zone_sync_ssl_ciphers zone_sync_ssl_conf_command zone_sync_ssl_crl zone_sync_ssl_name zone_sync_ssl_password_file
  zone_sync_ssl_protocols zone_sync_ssl_server_name zone_sync_ssl_trusted_certificate zone_sync_ssl_verify
  zone_sync_ssl_verify_depth zone_sync_timeout
stream_zone_sync v zone_sync zone_sync_server
thread_pool m thread_pool
"""
