"""What a request costs: pyresty, nginx with ngx_lua, and uvicorn, on the same machine, on the same conf.

``python -m benchmarks --help`` tells how to run it; ``docs/benchmark.md`` how to read it.
"""
